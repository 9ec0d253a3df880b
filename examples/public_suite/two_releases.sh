#!/bin/sh
# Make a repository of two releases of cattrs, from their source distributions: HEAD~1 is 25.1.0, HEAD is 25.1.1.
set -eu
git init --quiet cattrs
for release in 25.1.0 25.1.1; do
    python -m pip download --quiet --no-deps --no-binary cattrs --dest sdists "cattrs==$release"
    git -C cattrs rm -r --quiet --ignore-unmatch .
    tar --extract --gzip --strip-components 1 --file "sdists/cattrs-$release.tar.gz" --directory cattrs
    git -C cattrs add --all --force
    git -C cattrs -c user.name=releases -c user.email=releases@example.invalid commit --quiet --message "$release"
done
git -C cattrs log --format=%s
