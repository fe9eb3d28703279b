# Events of AWS services arrive on the bus `default`, which always exists. Your own applications publish to a bus like this.
resource "aws_cloudwatch_event_bus" "orders" {
  name = "orders"
}
