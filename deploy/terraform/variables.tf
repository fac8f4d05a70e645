variable "region" {
  description = "Where the machine stands: near the clients whose verdicts it gives"
  type        = string
}

variable "image" {
  description = "The image that deploy/Dockerfile builds, in a registry that the machine reaches"
  type        = string
}

variable "instance_type" {
  description = "One that fits architecture; its cores answer UDP, a lane each"
  type        = string
  default     = "c7g.medium"
}

variable "architecture" {
  description = "arm64 or x86_64, as the instance type and the image have it"
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture is arm64 or x86_64."
  }
}

variable "key_name" {
  description = "The SSH key pair, or null for none"
  type        = string
  default     = null
}

variable "ssh_from" {
  description = "Ranges from which SSH is let in; none by default"
  type        = list(string)
  default     = []
}

variable "subnet_cidr" {
  description = "A network of its own, with a tenth and an eleventh host"
  type        = string
  default     = "10.78.0.0/24"
}
