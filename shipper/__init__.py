"""Ships the state of databases and data-taking systems to Loki and Prometheus."""

__version__ = "0.1.0"
