locals {
  # Each instance of a function opens up to 5 (core/threads.py). During an upgrade there are those of the old and of the new
  # revision, and 3 are PostgreSQL's own.
  most_connections = 2 * 5 * sum([for function in local.functions : function.max]) + 3
}

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

    database_flags {
      name  = "max_connections"
      value = var.database_connections
    }

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

  lifecycle {
    precondition {
      condition     = local.most_connections <= var.database_connections
      error_message = "database_connections: must be ${local.most_connections} or more for as many instances as api_max_instances and worker_max_instances allow."
    }
  }
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
