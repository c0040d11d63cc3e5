"""Workflows as people see them: the graph as text and as SVG, a run as SVG. Pure: graphs and courses in, text out."""
