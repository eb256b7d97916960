"""Who is who: users, workspaces (the tenants), memberships and API keys."""
