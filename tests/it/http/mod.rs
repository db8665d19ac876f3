//! HTTP whatever is asked for: messages and connections on the wire, limits, TLS, access, the access log.

mod access;
mod access_log;
mod bodies;
mod callers;
mod compression;
mod correlation;
mod fast_path;
mod heads;
mod hostile;
mod limited;
mod limits;
mod tls;
mod wire;
