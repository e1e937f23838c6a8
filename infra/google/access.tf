# Who may do what. docs/google-cloud.md has the same as a table.

resource "google_service_account" "function" {
  for_each     = local.functions
  account_id   = "${var.name}-${each.key}"
  display_name = "Outpost: ${each.value.description}"
  depends_on   = [google_project_service.needed]
}

resource "google_service_account" "invoker" {
  for_each     = { tasks = "Cloud Tasks", schedules = "Cloud Scheduler" }
  account_id   = "${var.name}-${each.key}"
  display_name = "Outpost: as whom ${each.value} calls functions"
  depends_on   = [google_project_service.needed]
}

resource "google_service_account" "build" {
  account_id   = "${var.name}-build"
  display_name = "Outpost: builds the functions"
  depends_on   = [google_project_service.needed]
}

locals {
  wakes  = toset([for name, function in local.functions : name if contains(function.roles, "wakes")])
  drives = toset([for name, function in local.functions : name if contains(function.roles, "drives") && var.gke_cluster != ""])

  invocations = merge([
    for name, function in local.functions : { for caller, member in function.invokers : "${name} by ${caller}" => { name = name, member = member } }
  ]...)
}

resource "google_secret_manager_secret_iam_member" "reads_secret" {
  for_each  = google_service_account.function
  secret_id = var.secret
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value.member
}

resource "google_storage_bucket_iam_member" "reads_config" {
  for_each = google_service_account.function
  bucket   = google_storage_bucket.config.name
  role     = "roles/storage.objectViewer"
  member   = each.value.member
}

resource "google_cloud_tasks_queue_iam_member" "wakes" {
  for_each = local.wakes
  name     = google_cloud_tasks_queue.worker.name
  location = var.region
  role     = "roles/cloudtasks.enqueuer"
  member   = google_service_account.function[each.key].member
}

# A task names the account as which Cloud Tasks will call the worker.
resource "google_service_account_iam_member" "wakes" {
  for_each           = local.wakes
  service_account_id = google_service_account.invoker["tasks"].name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.function[each.key].member
}

# Where the cluster is, and that Google lets the functions in; what they may do in it, Kubernetes decides.
resource "google_project_iam_member" "drives" {
  for_each = local.drives
  project  = split("/", var.gke_cluster)[1]
  role     = "roles/container.clusterViewer"
  member   = google_service_account.function[each.key].member
}

resource "google_cloud_run_v2_service_iam_member" "calls" {
  for_each = local.invocations
  name     = google_cloudfunctions2_function.outpost[each.value.name].name
  location = var.region
  role     = "roles/run.invoker"
  member   = each.value.member
}

resource "google_artifact_registry_repository_iam_member" "build" {
  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.build.member
}

resource "google_project_iam_member" "build" {
  for_each = {
    "roles/logging.logWriter"    = ""
    "roles/storage.objectViewer" = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-\")"
  }
  project = var.project
  role    = each.key
  member  = google_service_account.build.member

  dynamic "condition" {
    for_each = each.value == "" ? [] : [each.value]
    content {
      title      = "sources of functions"
      expression = condition.value
    }
  }
}
