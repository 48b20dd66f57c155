"""Who mails whom: topologies, routes and policies, as pure functions."""
