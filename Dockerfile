# One image for every process: `prequal api`, `credit`, `decision`, `publisher`, `console`, and the jobs `roles`, `migrate`, `topics`, `maintain`.

FROM python:3.11-slim-bookworm AS optimised
# An optimised build decides with a tenth less CPU.
RUN python -c "import sys, sysconfig; \
    '--enable-optimizations' in str(sysconfig.get_config_var('CONFIG_ARGS')) \
    or sys.exit('This Python was built without --enable-optimizations: take the official image')"

FROM optimised AS build
WORKDIR /build
RUN python -m venv /opt/prequal && python -m venv /opt/build
COPY requirements/runtime.txt requirements/aws.txt requirements/build.txt requirements/
# `--build-arg REQUIREMENTS=aws` adds what asks AWS KMS.
ARG REQUIREMENTS
RUN /opt/prequal/bin/python -m pip install --no-cache-dir --require-hashes -r requirements/${REQUIREMENTS:-runtime}.txt
RUN /opt/build/bin/python -m pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/build/bin/python -m hatchling build -t wheel -d dist
RUN /opt/prequal/bin/python -m pip install --no-cache-dir --no-deps --no-index dist/*.whl
RUN /opt/prequal/bin/python -m pip uninstall -y pip setuptools

FROM optimised
RUN python -m pip uninstall -y pip setuptools wheel
COPY --from=build /opt/prequal /opt/prequal
ENV PATH=/opt/prequal/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HTTP_HOST=0.0.0.0 HTTP_PORT=8000 ADMIN_HOST=0.0.0.0
WORKDIR /tmp
USER 10001:10001
EXPOSE 8000 8005 8007
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-m", "prequal.service.health_check"]
ENTRYPOINT ["prequal"]
CMD ["api"]
