from app.api.middleware.rate_limit import Rate


def test_a_bucket_empties_and_fills_evenly() -> None:
    rate = Rate(per_minute=30, burst=3)
    assert [rate.wait("a", 100.0) for _ in range(3)] == [0, 0, 0]
    assert rate.wait("a", 100.0) == 2.0
    assert rate.wait("b", 100.0) == 0
    # What was refused took nothing: the wait gets shorter as time goes by.
    assert rate.wait("a", 101.5) == 0.5
    assert rate.wait("a", 102.0) == 0
    assert rate.wait("a", 102.0) == 2.0
    # It never holds more than it holds.
    assert [rate.wait("a", 1e6) for _ in range(4)] == [0, 0, 0, 2.0]


def test_only_so_many_clients_are_remembered() -> None:
    rate = Rate(per_minute=1, burst=1, clients=2)
    assert rate.wait("a", 0.0) == 0
    assert rate.wait("b", 0.0) == 0
    assert rate.wait("a", 1.0) == 59  # a was here later than b
    assert rate.wait("c", 1.0) == 0
    assert rate.wait("a", 1.0) == 59
    assert rate.wait("b", 1.0) == 0
