# A task only wakes a worker up for a row; a lost one is found by the function recover.
resource "google_cloud_tasks_queue" "worker" {
  name     = "${var.name}-worker"
  location = var.region

  rate_limits {
    # As many as the workers take: more would be turned away, and count as failed.
    max_concurrent_dispatches = local.starts_per_worker * var.worker_max_instances
    max_dispatches_per_second = 100
  }

  retry_config {
    # One failure is a database that restarts. After the last one the task is gone, and recover makes another.
    max_attempts  = 5
    min_backoff   = "5s"
    max_backoff   = "300s"
    max_doublings = 4
  }

  depends_on = [google_project_service.needed]
}
