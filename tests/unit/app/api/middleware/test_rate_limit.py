from app.api.middleware.rate_limit import TokenBucket


def test_a_bucket_empties_and_fills_evenly() -> None:
    bucket = TokenBucket(per_minute=30, burst=3)
    assert [bucket.acquire("a", 100.0) for _ in range(3)] == [0, 0, 0]
    assert bucket.acquire("a", 100.0) == 2.0
    assert bucket.acquire("b", 100.0) == 0
    # What was refused took nothing: the wait gets shorter as time goes by.
    assert bucket.acquire("a", 101.5) == 0.5
    assert bucket.acquire("a", 102.0) == 0
    assert bucket.acquire("a", 102.0) == 2.0
    # It never holds more than it holds.
    assert [bucket.acquire("a", 1e6) for _ in range(4)] == [0, 0, 0, 2.0]


def test_only_so_many_clients_are_remembered() -> None:
    bucket = TokenBucket(per_minute=1, burst=1, clients=2)
    assert bucket.acquire("a", 0.0) == 0
    assert bucket.acquire("b", 0.0) == 0
    assert bucket.acquire("a", 1.0) == 59  # a was here later than b
    assert bucket.acquire("c", 1.0) == 0
    assert bucket.acquire("a", 1.0) == 59
    assert bucket.acquire("b", 1.0) == 0
