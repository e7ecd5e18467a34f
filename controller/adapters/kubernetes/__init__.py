"""The cluster's API server: the only room that speaks to it through the client library."""
