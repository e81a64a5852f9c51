# There is no flake.lock yet: create it with `nix flake lock` on a machine that reaches nixpkgs, and commit it. `nix
# develop` opens a shell with everything that `cargo build` and `cargo test` need; `nix build` builds the program.
{
  description = "Reproducible OCI images from pinned Alpine packages, and a whole mail server made of them";

  # Rust 1.95 or newer.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      manifest = (lib.importTOML ./Cargo.toml).package;
      forEachSystem =
        make:
        lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (system: make nixpkgs.legacyPackages.${system});
    in
    {
      packages = forEachSystem (pkgs: {
        default = pkgs.rustPlatform.buildRustPackage {
          pname = manifest.name;
          inherit (manifest) version;
          src = lib.fileset.toSource {
            root = ./.;
            # Recipes, images, channels and schemas are compiled into the program, for `mailimg init`.
            fileset = lib.fileset.unions [
              ./Cargo.toml
              ./Cargo.lock
              ./build.rs
              ./src
              ./recipes
              ./images
              ./apk-locks
              ./schema
              # For the tests.
              ./docs
              ./mailimg.toml
            ];
          };
          cargoLock.lockFile = ./Cargo.lock;
          nativeBuildInputs = [
            pkgs.installShellFiles
            pkgs.pkg-config
          ];
          buildInputs = [ pkgs.openssl ];
          # The other tests need a network, an engine and a home directory; `scripts/test` runs them.
          cargoTestFlags = [ "--lib" ];
          postInstall = ''
            for shell in bash fish zsh; do
              installShellCompletion --cmd mailimg --$shell <($out/bin/mailimg completions $shell)
            done
          '';
          meta = {
            inherit (manifest) description;
            license = with lib.licenses; [ mit asl20 ];
            mainProgram = "mailimg";
            platforms = lib.platforms.linux;
          };
        };
      });

      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ self.packages.${pkgs.stdenv.hostPlatform.system}.default ];
          packages = with pkgs; [
            cargo-deny
            clippy
            docker-client
            docker-compose
            libfaketime
            openssl
            rust-analyzer
            rustfmt
            shellcheck
            skopeo
            umoci
          ];
        };
      });

      formatter = forEachSystem (pkgs: pkgs.nixfmt-tree);
    };
}
