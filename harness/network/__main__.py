"""`python -m harness.network`: the relay process that `harness.network.link` starts."""

from harness.network.relay import main

if __name__ == "__main__":
    main()
