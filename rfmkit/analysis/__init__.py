"""Think: each module answers one question about visits or patients."""
