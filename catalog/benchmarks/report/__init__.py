"""A run for people: on a terminal, in a pipe, as a picture, as Markdown, as a page with charts."""

from catalog.benchmarks.report.folder import report_folder, write_report
from catalog.benchmarks.report.markdown import render_markdown
from catalog.benchmarks.report.text import render_svg, render_text

__all__ = ["render_markdown", "render_svg", "render_text", "report_folder", "write_report"]
