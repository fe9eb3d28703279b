# A release that lies beside this file: made-up archives for the tests.

output "url" {
  description = "Where the release is"
  value       = "file://${abspath(path.module)}/"
}

output "sha256" {
  description = "What its checksums are known by"
  value       = filesha256("${path.module}/SHA256SUMS")
}
