"""What tests of streaming applications need: virtual time, a test driver, doubles, conformance suites."""
