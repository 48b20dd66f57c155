"""The class map, the island and its random streams: torch only, knows neither Ray nor Zarr."""
