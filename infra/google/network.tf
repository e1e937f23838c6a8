# The database has no public address; the functions reach it through this network, and everything else directly.

resource "google_compute_network" "outpost" {
  name                    = var.name
  auto_create_subnetworks = false
  depends_on              = [google_project_service.needed]
}

resource "google_compute_subnetwork" "functions" {
  name                     = "${var.name}-functions"
  network                  = google_compute_network.outpost.id
  region                   = var.region
  ip_cidr_range            = var.subnet_range
  private_ip_google_access = true
}

resource "google_compute_global_address" "google" {
  name          = "${var.name}-google"
  network       = google_compute_network.outpost.id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
}

resource "google_service_networking_connection" "google" {
  network                 = google_compute_network.outpost.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.google.name]
  # Google keeps the connection for a while after the database is gone.
  deletion_policy = "ABANDON"
}
