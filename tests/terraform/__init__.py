"""infra/google in Terraform itself, with the Google provider's own schema."""
