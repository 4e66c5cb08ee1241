"""In: exports become checked lines, lines become visits, visits become patients."""
