// Calls a test server with tonic: cargo run -- ADDRESS TOKEN
use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use sha2::Sha256;
use tonic::{Request, Status, transport::Channel};

mod gitaly {
    tonic::include_proto!("gitaly");
}
use gitaly::repository_service_client::RepositoryServiceClient;

/// Signs one call; the signature is valid for half a minute.
fn sign(token: &str, mut request: Request<()>) -> Result<Request<()>, Status> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|e| Status::internal(e.to_string()))?;
    let seconds = now.as_secs().to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).expect("keys of any length");
    mac.update(seconds.as_bytes());
    let value = format!("Bearer v2.{}.{}", hex::encode(mac.finalize().into_bytes()), seconds);
    request.metadata_mut().insert("authorization", value.parse().expect("ASCII"));
    Ok(request)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let address = args.next().ok_or("no address")?.replace("tcp://", "http://");
    let token = args.next().ok_or("no token")?;
    let channel = Channel::from_shared(address)?.connect().await?;
    let mut repositories =
        RepositoryServiceClient::with_interceptor(channel, move |request| sign(&token, request));
    let repository = Some(gitaly::Repository {
        storage_name: "default".into(),
        relative_path: "rust.git".into(),
        ..Default::default()
    });
    repositories
        .create_repository(gitaly::CreateRepositoryRequest {
            repository: repository.clone(),
            ..Default::default()
        })
        .await?;
    let answer = repositories.repository_exists(gitaly::RepositoryExistsRequest { repository }).await?;
    println!("exists: {}", answer.into_inner().exists);
    Ok(())
}
