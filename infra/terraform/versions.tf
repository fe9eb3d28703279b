terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # Older providers refuse queues for messages of 1 MiB.
      version = ">= 6.8"
    }
  }
}
