"""Where impressions come from: the simulated funnel, and the files of Ali-CCP."""
