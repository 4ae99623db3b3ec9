# What a user has who lets Terraform create the private tables and their routes. The test writes the
# two marked blocks, or leaves them out.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "endpoint" {
  type = string
}

variable "region" {
  type = string
}

variable "tables" { # zone to table, VPC and the home's interface
  type = map(object({
    id   = string
    vpc  = string
    home = string
  }))
}

provider "aws" {
  region                      = var.region
  access_key                  = "operator"
  secret_key                  = "operator"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true

  endpoints {
    ec2 = var.endpoint
  }
  #IGNORE_TAGS
}

import {
  for_each = var.tables
  to       = aws_route_table.private[each.key]
  id       = each.value.id
}

import {
  for_each = var.tables
  to       = aws_route.internet[each.key]
  id       = "${each.value.id}_0.0.0.0/0"
}

resource "aws_route_table" "private" {
  for_each = var.tables
  vpc_id   = each.value.vpc
  tags = {
    Name = "private-${each.key}"
  }
}

resource "aws_route" "internet" {
  for_each               = var.tables
  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  network_interface_id   = each.value.home
  #IGNORE_CHANGES
}
