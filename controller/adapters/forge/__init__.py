"""Speaks to forges: GitHub, GitLab, and Gitea with Forgejo; and understands what their webhooks tell."""
