resource "google_monitoring_alert_policy" "functions_fail" {
  display_name          = "${var.name}: functions fail"
  combiner              = "OR"
  notification_channels = var.notification_channels

  conditions {
    display_name = "Answers with 5xx for three of five minutes"
    condition_threshold {
      filter          = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = starts_with(\"${var.name}-\") AND metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code_class = \"5xx\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "180s"

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_SUM"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.label.service_name"]
      }
    }
  }

  documentation {
    content = "Outpost's functions fail. Nothing is lost; docs/google-cloud.md says what to do."
  }

  depends_on = [google_project_service.needed]
}
