"""The pages. Each view reads the request, calls a service or a selector, and picks a template."""
