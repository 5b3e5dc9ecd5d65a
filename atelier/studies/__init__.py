"""Studies: models compared, taken apart and measured over seeds.

What belongs here: which fits a study is made of, running and caching them, and tables of their figures. What does not:
the models (:mod:`atelier.attributes`, :mod:`atelier.recommenders`), which know no study; plots (:mod:`atelier.report`).
"""
