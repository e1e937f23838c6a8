"""AWS's own SAM CLI and Lambda's runtime client run the functions as they are packaged, in Docker."""
