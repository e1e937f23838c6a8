variable "project" {
  type        = string
  description = "The project's id."
}

variable "region" {
  type        = string
  description = "Where everything is, such as europe-west3."
}

variable "name" {
  type        = string
  default     = "outpost"
  description = "What the names of everything begin with; a second Outpost in the project needs another."
  validation {
    # Service accounts' ids have at most 30 characters, and the longest one appends 10.
    condition     = can(regex("^[a-z][a-z0-9-]{2,18}[a-z0-9]$", var.name))
    error_message = "name: must be 4 to 20 of a-z, 0-9 and -, beginning with a letter and not ending with -."
  }
}

variable "labels" {
  type        = map(string)
  default     = {}
  description = "Labels of everything that can have some."
}

variable "source_zip" {
  type        = string
  default     = "../../build/google-source.zip"
  description = "The functions' source, made by `make google-source`."
}

variable "secret" {
  type        = string
  default     = "outpost"
  description = "Name of the secret in Secret Manager that holds OUTPOST_CRYPT_KEY, usernames, passwords and SQL_PASSWORD as a JSON object."
}

variable "sql_password_version" {
  type        = number
  default     = 1
  description = "Raise it when SQL_PASSWORD in the secret has changed: the database's user then gets the new one."
}

variable "config_folder" {
  type        = string
  description = "The folder with outpost_config.py and, where there are some, flavors.yaml and credits.yaml; uploaded to the bucket."
  validation {
    condition     = fileexists("${var.config_folder}/outpost_config.py")
    error_message = "config_folder: must hold outpost_config.py."
  }
}

variable "base_path" {
  type        = string
  default     = ""
  description = "The path below which Outpost is reached, such as /outpost."
}

variable "gke_cluster" {
  type        = string
  default     = ""
  description = "The cluster that KubeSpawner works in: projects/P/locations/L/clusters/C."
  validation {
    condition     = can(regex("^(projects/[^/]+/locations/[^/]+/clusters/[^/]+)?$", var.gke_cluster))
    error_message = "gke_cluster: must be projects/P/locations/L/clusters/C, or empty."
  }
}

variable "delete_orphans" {
  type        = bool
  default     = false
  description = "true to delete pods of this Outpost that no row of the database knows; else they are only reported."
}

variable "operators" {
  type        = set(string)
  default     = []
  description = "Who may call migrate and the scheduled functions, such as user:me@example.org."
}

variable "api_min_instances" {
  type        = number
  default     = 0
  description = "1 keeps an instance ready, so that no request waits for a cold start."
}

variable "api_max_instances" {
  type        = number
  default     = 10
  description = "Most instances of the API. Each opens up to 5 connections to the database, 10 while an upgrade runs: see database_connections."
}

variable "worker_max_instances" {
  type        = number
  default     = 4
  description = "Most instances of the worker, with 5 starts or stops each; more wait in the queue. Their connections are as the API's."
}

variable "expire_schedule" {
  type        = string
  default     = "* * * * *"
  description = "When services are looked for whose run time is over (cron, UTC); empty for never."
}

variable "recover_schedule" {
  type        = string
  default     = "* * * * *"
  description = "When what a dead function left is carried on; empty for never."
}

variable "tunnels_schedule" {
  type        = string
  default     = "* * * * *"
  description = "When tunnels of restarted SSH nodes are set up again; empty for never."
}

variable "database_tier" {
  type        = string
  default     = "db-custom-1-3840"
  description = "Cloud SQL's machine type; its memory must be enough for database_connections."
}

variable "database_connections" {
  type        = number
  default     = 250
  description = "Most connections that the database takes; a change restarts it. Each further instance of the API or the worker takes 10."
}

variable "database_availability" {
  type        = string
  default     = "ZONAL"
  description = "REGIONAL for a standby in another zone, at twice the price."
  validation {
    condition     = contains(["ZONAL", "REGIONAL"], var.database_availability)
    error_message = "database_availability: must be ZONAL or REGIONAL."
  }
}

variable "database_deletion_protection" {
  type        = bool
  default     = true
  description = "false, applied, lets `terraform destroy` delete the database."
}

variable "subnet_range" {
  type        = string
  default     = "10.129.0.0/24"
  description = "Addresses of the functions; at least a /26."
  validation {
    condition     = can(cidrhost(var.subnet_range, 0)) && can(regex("/(8|9|1[0-9]|2[0-6])$", var.subnet_range))
    error_message = "subnet_range: must be a range of addresses such as 10.129.0.0/24, a /26 or larger."
  }
}

variable "notification_channels" {
  type        = list(string)
  default     = []
  description = "Names of Cloud Monitoring's channels that alarms go to."
}
