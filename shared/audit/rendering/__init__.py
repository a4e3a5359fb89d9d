"""Reports for readers: JSON and CSV for tools, HTML for people, JUnit for pipelines."""
