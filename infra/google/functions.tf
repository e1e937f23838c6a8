locals {
  # One source, and a function for each entry point of handlers/gcp.py.
  functions = {
    api = {
      description = "The HTTP API"
      # Cloud Run's longest: a start that a hub waits for lasts as long as the Spawner's start_timeout.
      timeout     = 3600
      memory      = "1Gi"
      concurrency = 16
      max         = var.api_max_instances
      min         = var.api_min_instances
      ingress     = "ALLOW_ALL"
      # Hubs log in with Outpost's own Basic auth, as everywhere.
      invokers = { hubs = "allUsers" }
      roles    = ["wakes", "drives"]
    }
    worker = {
      description = "Carries on what the queue names"
      # Cloud Tasks' longest: it hangs up after half an hour.
      timeout     = 1800
      memory      = "1Gi"
      concurrency = local.starts_per_worker
      max         = var.worker_max_instances
      min         = 0
      ingress     = "ALLOW_INTERNAL_ONLY"
      invokers    = { tasks = google_service_account.invoker["tasks"].member }
      roles       = ["wakes", "drives"]
    }
    expire = {
      description = "Ends services whose run time is over"
      # It marks rows and wakes workers, which takes milliseconds; after a minute the database is in trouble.
      timeout     = 60
      memory      = "512Mi"
      concurrency = 1
      max         = 1
      min         = 0
      ingress     = local.ingress_of_scheduled
      invokers    = local.invokers_of_scheduled
      roles       = ["wakes"]
    }
    recover = {
      description = "Wakes workers for what a dead function or a lost task left"
      # Every half an hour it asks the hubs, one after the other, what they still know, and compares pods with rows.
      timeout     = 300
      memory      = "1Gi"
      concurrency = 1
      # So that a tick can run beside one that waits for hubs.
      max      = 2
      min      = 0
      ingress  = local.ingress_of_scheduled
      invokers = local.invokers_of_scheduled
      roles    = ["wakes", "drives"]
    }
    tunnels = {
      description = "Has hubs set up again the tunnels of restarted SSH nodes"
      # It stops asking hubs after 40 s; the next tick asks for the rest.
      timeout     = 60
      memory      = "512Mi"
      concurrency = 1
      max         = 1
      min         = 0
      ingress     = local.ingress_of_scheduled
      invokers    = local.invokers_of_scheduled
      roles       = []
    }
    migrate = {
      description = "Brings the database's schema to this version; called after each deployment"
      # A migration cut off is rolled back and can be run again; large tables need their time.
      timeout     = 3600
      memory      = "512Mi"
      concurrency = 1
      max         = 1
      min         = 0
      ingress     = "ALLOW_ALL"
      invokers    = local.operators
      roles       = []
    }
  }

  # Starts mostly wait, so one worker drives several.
  starts_per_worker = 5

  operators = { for member in var.operators : member => member }

  # Operators ask for dry runs, and say when an SSH node has restarted; they do so from outside.
  invokers_of_scheduled = merge({ schedules = google_service_account.invoker["schedules"].member }, local.operators)
  ingress_of_scheduled  = length(var.operators) > 0 ? "ALLOW_ALL" : "ALLOW_INTERNAL_ONLY"

  # Known before the functions are: the worker must know its own.
  urls = { for name in ["worker", "expire", "recover", "tunnels", "migrate"] : name => "https://${var.name}-${name}-${data.google_project.this.number}.${var.region}.run.app" }

  environment = merge(
    {
      OUTPOST_DISPATCHER            = "cloudtasks"
      OUTPOST_TASKS_QUEUE           = google_cloud_tasks_queue.worker.id
      OUTPOST_TASKS_URL             = local.urls.worker
      OUTPOST_TASKS_SERVICE_ACCOUNT = google_service_account.invoker["tasks"].email
      OUTPOST_SECRETS               = "projects/${var.project}/secrets/${var.secret}"
      OUTPOST_CONFIG_FILE           = "gs://${google_storage_bucket.config.name}/outpost_config.py"
      SQL_TYPE                      = "postgresql"
      SQL_HOST                      = google_sql_database_instance.outpost.private_ip_address
      SQL_DATABASE                  = google_sql_database.outpost.name
      SQL_USER                      = google_sql_user.outpost.name
      SQL_SSLMODE                   = "require"
      # An idle instance would keep its connections open for nobody.
      SQL_POOL_SIZE = "0"
      # Google's own default has the framework disable the loggers that there are when the functions are loaded. Outpost's
      # lines name their request anyway.
      LOG_EXECUTION_ID = "false"
    },
    # An empty variable would be a difference at each plan.
    var.base_path == "" ? {} : { OUTPOST_BASE_PATH = var.base_path },
    { for name, variable in { "flavors.yaml" = "OUTPOST_FLAVORS_PATH", "credits.yaml" = "OUTPOST_CREDITS_PATH" } :
    variable => "gs://${google_storage_bucket.config.name}/${name}" if contains(keys(google_storage_bucket_object.config), name) },
  )

  # What single functions know beside that. Who may call them is IAM's to check: it hands tokens on without their
  # signature, so that OUTPOST_OIDC_AUDIENCE would refuse all of them.
  own_environment = {
    for name, function in local.functions : name => merge(
      contains(local.drives, name) ? { OUTPOST_GKE_CLUSTER = var.gke_cluster } : {},
      name == "recover" ? { OUTPOST_DELETE_ORPHANS = tostring(var.delete_orphans) } : {},
    )
  }
}

resource "google_cloudfunctions2_function" "outpost" {
  for_each = local.functions

  name        = "${var.name}-${each.key}"
  location    = var.region
  description = each.value.description

  build_config {
    runtime           = "python311"
    entry_point       = each.key
    service_account   = google_service_account.build.id
    docker_repository = google_artifact_registry_repository.images.id

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.source.name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.function[each.key].email
    environment_variables            = merge(local.environment, local.own_environment[each.key])
    timeout_seconds                  = each.value.timeout
    available_memory                 = each.value.memory
    available_cpu                    = "1"
    max_instance_request_concurrency = each.value.concurrency
    min_instance_count               = each.value.min
    max_instance_count               = each.value.max
    ingress_settings                 = each.value.ingress
    direct_vpc_egress                = "VPC_EGRESS_PRIVATE_RANGES_ONLY"

    direct_vpc_network_interface {
      network    = google_compute_network.outpost.id
      subnetwork = google_compute_subnetwork.functions.id
    }
  }

  # An instance reads its secret and its configuration and looks the cluster up when it starts, and a deployment starts one.
  depends_on = [
    google_secret_manager_secret_iam_member.reads_secret,
    google_storage_bucket_iam_member.reads_config,
    google_storage_bucket_object.config,
    google_project_iam_member.drives,
    google_artifact_registry_repository_iam_member.build,
    google_project_iam_member.build,
  ]
}
