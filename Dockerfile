# The server, with the model that comes with Voicefit:
#
#     docker build -t voicefit .
#     docker run --rm -p 8000:8000 -e VOICEFIT_TOKEN=$(openssl rand -hex 16) voicefit
#
# The token is the password of the page, under any user name. Put a proxy with TLS before the port.
FROM python:3.11-slim

WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir '.[serve,formats]' && useradd --create-home voicefit
USER voicefit
EXPOSE 8000
ENTRYPOINT ["voicefit", "serve"]
CMD ["mini", "--host", "0.0.0.0"]
