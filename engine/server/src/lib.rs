//! The control socket: HTTP/1.1 with JSON over `data_dir/control.sock`, for the user who runs the engine.
//!
//! Never reachable over a network, mode 0600. Whoever acts is named by the kernel, and the name stands in the entry.
//! No answer holds a patient's value.

mod principal;
mod routes;
mod verification;
mod views;

pub use principal::{principal_of, principal_of_process};
pub use verification::{OpenSides, Sides};
pub use views::{RECOVERY, answer_name, answer_names, verdict};

use model::SourcePosition;
use runtime::Handle;
use std::{fs, io, os::unix::fs::PermissionsExt, path::Path, sync::Arc};
use tokio::net::UnixListener;

/// Shows a position as its own server would.
pub type Show = Arc<dyn Fn(&SourcePosition) -> String + Send + Sync>;

/// What the routes work on.
pub struct Api {
    /// The running engine.
    pub handle: Handle,
    /// Shows positions.
    pub show: Show,
    /// Opens both ends for a verification.
    pub sides: OpenSides,
}

/// A socket that is bound; whoever holds `data_dir/lock` may replace a dead process's.
pub struct ControlSocket {
    listener: UnixListener,
}

impl ControlSocket {
    /// Binds the socket at `path`, readable by this user only.
    pub fn bind(path: &Path) -> io::Result<ControlSocket> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Between bind and chmod nobody else may connect: the directory is private, too.
        if let Some(dir) = path.parent() {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok(ControlSocket { listener })
    }

    /// Answers until the future is dropped.
    pub async fn serve(self, api: Api) -> io::Result<()> {
        let service = routes::router(Arc::new(api)).into_make_service_with_connect_info::<principal::Peer>();
        axum::serve(self.listener, service).await
    }
}
