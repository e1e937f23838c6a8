output "url" {
  description = "The API; hubs' request_url is this with /services after it"
  value       = "${google_cloudfunctions2_function.outpost["api"].service_config[0].uri}${var.base_path}"
}

output "migrate_url" {
  description = "Call it after each deployment"
  value       = local.urls.migrate
}

output "expire_url" {
  description = "Post {\"dry_run\": true} to it to learn what it would end"
  value       = local.urls.expire
}

output "recover_url" {
  description = "Post {\"dry_run\": true} to it to learn what it would carry on, stop and delete"
  value       = local.urls.recover
}

output "tunnels_url" {
  description = "Post {\"generation\": \"...\"} to it when an SSH node has restarted"
  value       = local.urls.tunnels
}

output "config_bucket" {
  description = "Where the configuration is; what is changed there is in force a minute later"
  value       = "gs://${google_storage_bucket.config.name}"
}

output "kubernetes_users" {
  description = "Who reaches the cluster: bind these to a Role there"
  value       = [for name in local.drives : google_service_account.function[name].email]
}

output "queue" {
  description = "The queue of the worker"
  value       = google_cloud_tasks_queue.worker.id
}
