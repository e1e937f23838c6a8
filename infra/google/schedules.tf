resource "google_cloud_scheduler_job" "tick" {
  for_each = { for name, schedule in {
    expire = var.expire_schedule, recover = var.recover_schedule, tunnels = var.tunnels_schedule
  } : name => schedule if schedule != "" }

  name             = "${var.name}-${each.key}"
  region           = var.region
  description      = local.functions[each.key].description
  schedule         = each.value
  time_zone        = "Etc/UTC"
  attempt_deadline = "${local.functions[each.key].timeout}s"

  # A tick that failed is not tried again: the next one does the same work.
  retry_config {
    retry_count = 0
  }

  http_target {
    http_method = "POST"
    uri         = local.urls[each.key]
    headers     = { "Content-Type" = "application/json" }
    body        = base64encode("{}")

    oidc_token {
      service_account_email = google_service_account.invoker["schedules"].email
      audience              = local.urls[each.key]
    }
  }

  depends_on = [google_cloudfunctions2_function.outpost, google_project_service.needed]
}
