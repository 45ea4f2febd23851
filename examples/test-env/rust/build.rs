// Compiles the protocol's files, without protoc. PROTO is their folder.
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::var("PROTO").unwrap_or("../../../proto".into());
    println!("cargo:rerun-if-env-changed=PROTO");
    println!("cargo:rerun-if-changed={folder}");
    let file = Path::new(&folder).join("repository-service.proto");
    let repository = Path::new(&folder).join("repository.proto");
    let files = protox::compile([file, repository], [&folder])?;
    tonic_prost_build::configure().build_server(false).compile_fds(files)?;
    Ok(())
}
