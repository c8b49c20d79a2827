"""Figures of the notebooks, by matplotlib: results, retrieval; rivals and live curves by module."""

from tvnet.course.figures.results import (
    overlay,
    panel,
    plot_contrasts,
    plot_costs,
    plot_learning,
    plot_table1,
)
from tvnet.course.figures.retrieval import plot_retrieval_report, retrieval_card

__all__ = [
    "overlay",
    "panel",
    "plot_retrieval_report",
    "plot_contrasts",
    "plot_costs",
    "plot_learning",
    "plot_table1",
    "retrieval_card",
]
