"""From accuracies over seeds to a verdict: results as rows, intervals, claims, kept films."""
