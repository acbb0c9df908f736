//! Certificates as the core orders them: read from their files, handed to the sockets, and what is wrong told as alarms.

use crate::appliance::turn::Turn;
use crate::base::Timestamp;
use crate::core::switch::Input;
use crate::core::tls::{Profile, ServerTls};
use crate::edge::net::tls;

/// Alarm: TLS cannot be served, or a trunk's calls cannot be made, with what is provisioned.
const UNUSABLE: &str = "certificate-unusable";
/// What the server's side is called in alarms.
const SERVER: &str = "sip.tls";

impl Turn {
    /// Accepts TLS with these certificates from now on. What cannot be read leaves those before in use.
    pub(super) fn serve_tls(&mut self, settings: Option<&ServerTls>) {
        let Some(settings) = settings else {
            self.sockets.serve_tls(None);
            return self.tell_unusable(SERVER, None);
        };
        match tls::server(&self.data_dir, settings) {
            Ok(server) => {
                self.sockets.serve_tls(Some(server.config));
                self.tell_unusable(SERVER, None);
                self.tell_end(SERVER.to_owned(), server.certificate.not_after);
            }
            Err(error) => self.tell_unusable(SERVER, Some(&error)),
        }
    }

    /// Makes connections of this profile so from now on.
    pub(super) fn set_profile(&mut self, profile: &Profile) {
        match tls::client(&self.data_dir, &profile.tls, &profile.name) {
            Ok(client) => {
                let end = client.certificate.as_ref().map(|certificate| certificate.not_after);
                self.sockets.set_profile(profile.number, client);
                self.tell_unusable(&profile.name, None);
                if let (Some(end), Some(file)) = (end, &profile.tls.certificate) {
                    self.tell_end(file.clone(), end);
                }
            }
            Err(error) => self.tell_unusable(&profile.name, Some(&error)),
        }
    }

    fn tell_unusable(&mut self, subject: &str, error: Option<&tls::TlsError>) {
        if let Some(error) = error {
            log::error!("TLS, {subject}: {error}");
        }
        let alarm = Input::Alarm { name: UNUSABLE, subject: subject.to_owned(), stands: error.is_some() };
        self.switch.handle(self.clock.now(), alarm);
    }

    fn tell_end(&mut self, subject: String, not_after: Timestamp) {
        self.switch.handle(self.clock.now(), Input::CertificateRead { subject, not_after });
    }
}
