"""What has to stand around a pair in EC2 and on the host: found, drafted, changed and audited."""
