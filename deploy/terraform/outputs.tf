output "addresses" {
  description = "What clients ask, `natprobe --server` the first"
  value       = aws_eip.natprobed[*].public_ip
}

output "api" {
  description = "The page and the HTTP API"
  value       = "http://${aws_eip.natprobed[0].public_ip}:8478/"
}
