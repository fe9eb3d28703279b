# A test release beside this file.

output "url" {
  description = "URL of the release"
  value       = "file://${abspath(path.module)}/"
}

output "sha256" {
  description = "SHA-256 of its SHA256SUMS"
  value       = filesha256("${path.module}/SHA256SUMS")
}
