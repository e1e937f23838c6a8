resource "google_storage_bucket" "config" {
  name                        = "${var.project}-${var.name}-config"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true

  versioning {
    enabled = true
  }

  depends_on = [google_project_service.needed]
}

resource "google_storage_bucket_object" "config" {
  for_each = fileset(var.config_folder, "{outpost_config.py,flavors.yaml,credits.yaml}")

  bucket         = google_storage_bucket.config.name
  name           = each.key
  source         = "${var.config_folder}/${each.key}"
  source_md5hash = filemd5("${var.config_folder}/${each.key}")
}

resource "google_storage_bucket" "source" {
  name                        = "${var.project}-${var.name}-source"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true

  depends_on = [google_project_service.needed]
}

resource "google_storage_bucket_object" "source" {
  bucket = google_storage_bucket.source.name
  # Another name for another source: that is what has the functions built anew.
  name   = "outpost-${filemd5(var.source_zip)}.zip"
  source = var.source_zip
}

resource "google_artifact_registry_repository" "images" {
  repository_id = var.name
  location      = var.region
  format        = "DOCKER"
  description   = "Images of Outpost's functions, built from their source"

  cleanup_policies {
    id     = "old"
    action = "DELETE"
    condition {
      older_than = "2592000s"
    }
  }
  cleanup_policies {
    id     = "latest"
    action = "KEEP"
    most_recent_versions {
      keep_count = 3
    }
  }

  depends_on = [google_project_service.needed]
}
