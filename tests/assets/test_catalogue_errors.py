"""What the UI is told of annotations that look wrong."""

import pandas as pd

from assets.catalogue_errors import by_attribute


def test_the_name_of_an_attribute_shows_itself_and_is_no_markdown() -> None:
    shares = pd.DataFrame(
        {"attribute": ["![a](http://b)|", "colour"], "listed": [3, 0], "expected_share": 0.5, "low": 0.25, "high": 0.75}
    )
    assert by_attribute(shares).splitlines()[2:] == [r"| !\[a\](http://b)\| | 3 | 50% | 25% to 75% |"]
