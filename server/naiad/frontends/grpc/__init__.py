"""The gRPC frontend: a transport that knows no model, and services that know no wire (`transport` is the seam)."""
