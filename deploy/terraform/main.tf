# One machine of AWS with two elastic addresses, both translated one to one to private addresses of its interface.
terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.10"
    }
  }
}

provider "aws" {
  region = var.region
}

locals {
  private_addresses = [cidrhost(var.subnet_cidr, 10), cidrhost(var.subnet_cidr, 11)]
  open_ports = concat(
    [for port in [3478, 3479] : { protocol = "udp", port = port }],
    [for port in [3478, 3479, 5349, 5350, 8478] : { protocol = "tcp", port = port }],
  )
}

data "aws_ami" "debian" {
  most_recent = true
  owners      = ["136693071363"] # Debian

  filter {
    name   = "name"
    values = ["debian-13-${var.architecture == "arm64" ? "arm64" : "amd64"}-*"]
  }
}

resource "aws_vpc" "natprobed" {
  cidr_block = var.subnet_cidr
  tags       = { Name = "natprobed" }
}

resource "aws_subnet" "natprobed" {
  vpc_id     = aws_vpc.natprobed.id
  cidr_block = var.subnet_cidr
  tags       = { Name = "natprobed" }
}

resource "aws_internet_gateway" "natprobed" {
  vpc_id = aws_vpc.natprobed.id
}

resource "aws_route_table" "natprobed" {
  vpc_id = aws_vpc.natprobed.id

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.natprobed.id
  }
}

resource "aws_route_table_association" "natprobed" {
  subnet_id      = aws_subnet.natprobed.id
  route_table_id = aws_route_table.natprobed.id
}

# All UDP that comes to these ports is let in by rules, and what leaves by them too: such flows are not tracked, so
# that no table of connections limits the server.
resource "aws_security_group" "natprobed" {
  name   = "natprobed"
  vpc_id = aws_vpc.natprobed.id

  dynamic "ingress" {
    for_each = local.open_ports
    content {
      protocol    = ingress.value.protocol
      from_port   = ingress.value.port
      to_port     = ingress.value.port
      cidr_blocks = ["0.0.0.0/0"]
    }
  }

  # Path MTU discovery.
  ingress {
    protocol    = "icmp"
    from_port   = 3
    to_port     = 4
    cidr_blocks = ["0.0.0.0/0"]
  }

  dynamic "ingress" {
    for_each = length(var.ssh_from) > 0 ? [22] : []
    content {
      protocol    = "tcp"
      from_port   = ingress.value
      to_port     = ingress.value
      cidr_blocks = var.ssh_from
    }
  }

  egress {
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_network_interface" "natprobed" {
  subnet_id               = aws_subnet.natprobed.id
  private_ip_list_enabled = true
  private_ip_list         = local.private_addresses
  security_groups         = [aws_security_group.natprobed.id]
}

resource "aws_eip" "natprobed" {
  count                     = 2
  domain                    = "vpc"
  network_interface         = aws_network_interface.natprobed.id
  associate_with_private_ip = local.private_addresses[count.index]
  tags                      = { Name = "natprobed-${count.index == 0 ? "primary" : "alternate"}" }

  depends_on = [aws_internet_gateway.natprobed]
}

resource "aws_instance" "natprobed" {
  ami           = data.aws_ami.debian.id
  instance_type = var.instance_type
  key_name      = var.key_name

  primary_network_interface {
    network_interface_id = aws_network_interface.natprobed.id
  }

  metadata_options {
    http_tokens = "required"
  }

  user_data_replace_on_change = true
  user_data = templatefile("${path.module}/cloud-init.yaml.tftpl", {
    image            = var.image
    primary          = local.private_addresses[0]
    alternate        = local.private_addresses[1]
    public_primary   = aws_eip.natprobed[0].public_ip
    public_alternate = aws_eip.natprobed[1].public_ip
  })

  tags = { Name = "natprobed" }
}
