resource "google_sql_database_instance" "outpost" {
  name                = var.name
  region              = var.region
  database_version    = "POSTGRES_16"
  deletion_protection = var.database_deletion_protection

  settings {
    edition                     = "ENTERPRISE"
    tier                        = var.database_tier
    availability_type           = var.database_availability
    disk_autoresize             = true
    deletion_protection_enabled = var.database_deletion_protection

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.outpost.id
      ssl_mode        = "ENCRYPTED_ONLY"
    }

    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
    }
  }

  depends_on = [google_service_networking_connection.google]
}

resource "google_sql_database" "outpost" {
  name     = "outpost"
  instance = google_sql_database_instance.outpost.name
  # Its user owns the tables.
  deletion_policy = "ABANDON"
}

ephemeral "google_secret_manager_secret_version" "outpost" {
  project = var.project
  secret  = var.secret
}

resource "google_sql_user" "outpost" {
  name                = "outpost"
  instance            = google_sql_database_instance.outpost.name
  password_wo         = jsondecode(ephemeral.google_secret_manager_secret_version.outpost.secret_data).SQL_PASSWORD
  password_wo_version = var.sql_password_version
  deletion_policy     = "ABANDON"
}
